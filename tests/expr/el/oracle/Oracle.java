import com.jayway.jsonpath.Configuration;
import com.jayway.jsonpath.JsonPath;
import com.jayway.jsonpath.Option;
import com.jayway.jsonpath.Predicate;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.Constructor;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Date;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import net.minidev.json.JSONObject;
import net.minidev.json.JSONValue;
import org.springframework.core.convert.TypeDescriptor;
import org.springframework.expression.AccessException;
import org.springframework.expression.BeanResolver;
import org.springframework.expression.ConstructorExecutor;
import org.springframework.expression.EvaluationContext;
import org.springframework.expression.EvaluationException;
import org.springframework.expression.Expression;
import org.springframework.expression.ParseException;
import org.springframework.expression.PropertyAccessor;
import org.springframework.expression.TypedValue;
import org.springframework.expression.common.TemplateParserContext;
import org.springframework.expression.spel.standard.SpelExpressionParser;
import org.springframework.expression.spel.support.DataBindingPropertyAccessor;
import org.springframework.expression.spel.support.ReflectiveConstructorExecutor;
import org.springframework.expression.spel.support.ReflectiveConstructorResolver;
import org.springframework.expression.spel.support.ReflectiveMethodResolver;
import org.springframework.expression.spel.support.StandardEvaluationContext;

/**
 * Answers conditions as Spring Expression does under Gravitee's rules: which parts of a text are expressions, read-only
 * properties, a list of methods. Reads one JSON text a line, writes one JSON object a line: its outcome as a condition, and the
 * class and the text of its value. The first argument is a file with the facts.
 */
public final class Oracle {

  private static final Pattern BLOCK = Pattern.compile("\\{ *([#T(])((?>[^{}]+|\\{(?>[^{}]+)*\\})*\\})");
  private static final SpelExpressionParser PARSER = new SpelExpressionParser();
  private static final Configuration PATHS = Configuration.defaultConfiguration().addOptions(Option.DEFAULT_PATH_LEAF_TO_NULL);

  private static final String[] WHOLE = {
    "java.lang.Math", "java.lang.String", "java.lang.Integer", "java.lang.Double", "java.lang.Long", "java.math.BigDecimal",
    "java.lang.Float", "java.lang.Short", "java.util.Date", "java.time.LocalDate", "java.time.LocalDateTime",
    "java.time.ZonedDateTime", "java.time.format.DateTimeFormatter", "java.util.Base64", "java.util.Base64$Encoder",
    "java.util.Base64$Decoder",
  };
  /** Class, and the methods of it that may be called, whatever their parameters. */
  private static final String[][] SOME = {
    {"java.lang.Object", "equals", "hashCode", "toString"},
    {"java.net.URLDecoder", "decode"},
    {"java.net.URLEncoder", "encode"},
    {"java.util.Collections", "binarySearch", "disjoint", "frequency", "indexOfSubList", "lastIndexOfSubList", "max", "min"},
    {"java.util.Comparator", "compare"},
    {"java.util.Collection", "contains", "isEmpty", "size"},
    {"java.util.List", "get"},
    {"java.util.Deque", "getFirst", "peek", "peekFirst", "peekLast", "element"},
    {
      "java.util.Map", "containsKey", "containsValue", "entrySet", "get", "getOrDefault", "isEmpty", "keySet", "size", "values",
    },
    {"java.util.Map$Entry", "getKey", "getValue"},
  };

  private static final Map<Class<?>, List<Method>> METHODS = new HashMap<>();
  private static final Set<Constructor<?>> CONSTRUCTORS = new HashSet<>();

  static {
    try {
      for (String name : WHOLE) {
        Class<?> type = Class.forName(name);
        METHODS.computeIfAbsent(type, key -> new ArrayList<>()).addAll(Arrays.asList(type.getDeclaredMethods()));
        CONSTRUCTORS.addAll(Arrays.asList(type.getDeclaredConstructors()));
      }
      for (String[] row : SOME) {
        Class<?> type = Class.forName(row[0]);
        List<String> wanted = Arrays.asList(row).subList(1, row.length);
        for (Method method : type.getDeclaredMethods()) {
          boolean narrower = row[0].endsWith("Encoder") || row[0].endsWith("Decoder");
          boolean texts = Arrays.equals(method.getParameterTypes(), new Class<?>[] {String.class, String.class});
          if (wanted.contains(method.getName()) && (!narrower || texts)) {
            METHODS.computeIfAbsent(type, key -> new ArrayList<>()).add(method);
          }
        }
      }
    } catch (ClassNotFoundException missing) {
      throw new IllegalStateException(missing);
    }
  }

  private Oracle() {}

  /** Only listed methods, of the type and of what it extends and implements. */
  private static final class Methods extends ReflectiveMethodResolver {

    @Override
    protected Method[] getMethods(Class<?> type) {
      List<Method> found = new ArrayList<>();
      collect(type, found);
      return found.toArray(new Method[0]);
    }

    private static void collect(Class<?> type, List<Method> found) {
      found.addAll(METHODS.getOrDefault(type, List.of()));
      if (type.getSuperclass() != null) {
        collect(type.getSuperclass(), found);
      }
      for (Class<?> one : type.getInterfaces()) {
        collect(one, found);
      }
    }
  }

  private static final class Constructors extends ReflectiveConstructorResolver {

    @Override
    public ConstructorExecutor resolve(EvaluationContext context, String name, List<TypeDescriptor> types) throws AccessException {
      ReflectiveConstructorExecutor found = (ReflectiveConstructorExecutor) super.resolve(context, name, types);
      if (!CONSTRUCTORS.contains(found.getConstructor())) {
        throw new AccessException("not listed");
      }
      return found;
    }
  }

  /** A key of a map is a property; one that is missing is null. */
  private static final class Maps implements PropertyAccessor {

    @Override
    public Class<?>[] getSpecificTargetClasses() {
      return new Class<?>[] {Map.class};
    }

    @Override
    public boolean canRead(EvaluationContext context, Object target, String name) {
      return target instanceof Map;
    }

    @Override
    public TypedValue read(EvaluationContext context, Object target, String name) {
      Object value = ((Map<?, ?>) target).get(name);
      return value == null ? TypedValue.NULL : new TypedValue(value);
    }

    @Override
    public boolean canWrite(EvaluationContext context, Object target, String name) {
      return false;
    }

    @Override
    public void write(EvaluationContext context, Object target, String name, Object value) {
      throw new UnsupportedOperationException();
    }
  }

  /** `#context`. */
  public record Facts(Map<String, Object> attributes) {
    public Map<String, Object> getAttributes() {
      return attributes;
    }
  }

  /** `#jsonPath`. */
  public static final class Paths {

    private Paths() {}

    public static Object evaluate(Object json, String path, Predicate... filters) {
      return json instanceof String text
        ? JsonPath.using(PATHS).parse(text).read(path, filters)
        : JsonPath.using(PATHS).parse(json).read(path, filters);
    }
  }

  /** JSON as the claims of a token are: in their order, whole numbers Long. */
  private static Object claims(Object value) {
    if (value instanceof Map<?, ?> object) {
      Map<String, Object> made = new LinkedHashMap<>();
      object.forEach((key, one) -> made.put((String) key, claims(one)));
      return made;
    }
    if (value instanceof List<?> array) {
      List<Object> made = new ArrayList<>();
      array.forEach(one -> made.add(claims(one)));
      return made;
    }
    return value instanceof Integer number ? Long.valueOf(number) : value;
  }

  private static StandardEvaluationContext context(String facts) throws NoSuchMethodException {
    @SuppressWarnings("unchecked")
    Map<String, Object> attributes = (Map<String, Object>) claims(JSONValue.parseKeepingOrder(facts));
    Object token = attributes.get("jwt.claims");
    if (token instanceof Map<?, ?> map && map.get("exp") instanceof Number seconds) {
      @SuppressWarnings("unchecked")
      Map<String, Object> changed = (Map<String, Object>) map;
      changed.put("exp", new Date(seconds.longValue() * 1000));
    }
    StandardEvaluationContext made = new StandardEvaluationContext();
    made.setPropertyAccessors(List.of(DataBindingPropertyAccessor.forReadOnlyAccess(), new Maps()));
    made.setMethodResolvers(Collections.singletonList(new Methods()));
    made.setConstructorResolvers(Collections.singletonList(new Constructors()));
    made.setBeanResolver((BeanResolver) null);
    made.setVariable("context", new Facts(attributes));
    made.setVariable("jsonPath", Paths.class.getMethod("evaluate", Object.class, String.class, Predicate[].class));
    return made;
  }

  private static String outcome(Expression expression, EvaluationContext context) {
    try {
      return String.valueOf(expression.getValue(context, Boolean.class)).replace("null", "empty");
    } catch (EvaluationException error) {
      return "error";
    } catch (RuntimeException | StackOverflowError error) {
      return "java";
    }
  }

  private static JSONObject answer(String text, String facts) throws NoSuchMethodException {
    JSONObject made = new JSONObject();
    Expression expression;
    try {
      String marked = BLOCK.matcher(text).replaceAll("{#$1$2");
      expression = PARSER.parseExpression(marked, new TemplateParserContext("{#", "}"));
    } catch (ParseException | IllegalStateException | IllegalArgumentException error) {
      made.put("outcome", "parse");
      return made;
    }
    made.put("outcome", outcome(expression, context(facts)));
    try {
      Object value = expression.getValue(context(facts));
      made.put("class", value == null ? "null" : value.getClass().getSimpleName());
      made.put("text", String.valueOf(value));
    } catch (RuntimeException | StackOverflowError error) {
      made.put("class", "error");
    }
    return made;
  }

  public static void main(String[] arguments) throws Exception {
    String facts = Files.readString(Path.of(arguments[0]));
    PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      out.println(answer((String) JSONValue.parse(line), facts).toJSONString());
    }
    out.flush();
  }
}
